// Package e2e holds berth's programs to what their users see: real container
// engines start containers with annotations, on hosts of a small LAN, and the
// tests look at the containers, the wire, the command line and what is left.
//
// It is all tests. They know berth as programs and files, and look into the
// database only to prove that nothing has changed in it.
package e2e
