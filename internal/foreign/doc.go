// Package foreign reads the networks of docker, podman and CNI, and which addresses they have
// given to containers.
//
// It reads files, changes nothing and locks nothing for longer than a read; only
// [ReadDockerNetworks] asks a daemon. A missing file is no error: the host does not have that
// program. It imports only specs.
package foreign
