// Package deploy holds what deploy/ hands out to what the code reads: each
// manifest is decoded strictly, and each program, flag, path, capability and
// metric in it is looked for where it comes from. Packages are built and opened.
package deploy
