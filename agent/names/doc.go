// Package names queries engines for the names of containers: containerd by its API, docker
// and podman (and CRI-O) by their files.
//
// An [Enricher] is one engine; [Ask] joins the answers of several. The package caches
// nothing: the caller stores the answer. Package agent reads the names in annotations. Of
// berth it imports internal/state, internal/regular and specs.
package names
