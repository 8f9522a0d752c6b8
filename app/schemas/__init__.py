"""One marshmallow schema for each shape: it loads, dumps and documents."""
