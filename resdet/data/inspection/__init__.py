"""What a data set should be asked before training: findings about boxes, classes, images and anchors."""
