// Package deploy compares the files in deploy/ with the code: it decodes each manifest
// strictly, and checks that each program, flag, path, capability and metric in it
// exists. It also builds and opens packages.
package deploy
