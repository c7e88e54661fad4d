// Package foreign reads the networks of docker, podman, CNI and libvirt, and which addresses
// the first three have given to containers.
//
// It reads files, changes nothing and locks nothing for longer than a read; only
// [ReadDockerNetworks] asks a daemon. A missing file is no error: the host does not have that
// program. It imports only specs and internal/regular.
package foreign
