"""What a recipient sees and posts: pages, forms, and telling people from machines."""
