// Package edit changes single values of configuration files as text: comments, order,
// indentation and quoting of everything else stay, byte for byte. Each change can be
// undone, also in a file that was changed in the meantime.
//
// Set of a [Format] sets a value, and Undo restores it.
//
// It supports TOML and JSON, but no engine and no file system. After each edit it decodes
// the text and compares the values with the wanted ones, so that a file which it
// misunderstands is an error and not a broken engine. It imports nothing of berth.
package edit
