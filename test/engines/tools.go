package main

import "context"

// addTools puts the tools of the wanted engines into a directory.
func addTools(context.Context, *options, string) error { return nil }
