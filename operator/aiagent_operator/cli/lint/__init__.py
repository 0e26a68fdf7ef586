"""`lint`: what the cluster would say of manifests, without a cluster."""
