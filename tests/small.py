"""The small scenario that several tests share: how many clients it has, its model and sanitizer."""

N_CLIENTS = 5
MODEL = {"use": "cnn2", "padding": 1, "hidden": 16, "channels": [4, 8]}
SANITIZER = {"use": "cluster_majority", "n_clusters": 10}
