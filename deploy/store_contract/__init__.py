"""What Reelmesh asks of any store that speaks S3, as checks that run against one."""
