"""What data sets look like on a disk: a file each, from annotations to arrays."""
