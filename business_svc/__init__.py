"""The product: AI tools and what people make with them."""
