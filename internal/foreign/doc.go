// Package foreign reads from the files of docker, podman and CNI which addresses they have
// given to containers, and on which of their networks.
//
// It asks no daemon, and changes and locks nothing for longer than a read. A missing file is no
// error: the host does not have that program. It imports only specs.
package foreign
