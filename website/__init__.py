"""The site: tutorials as they ran, pages, reference and annotated source, made from what stands in this checkout."""
