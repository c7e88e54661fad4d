// Package edit changes single values of configuration files that other people
// wrote, as text: comments, order, indentation and quoting of everything else
// stay, byte for byte. Each change can be taken back, also from a file that was
// changed in the meantime.
//
// It knows TOML and JSON, but no engine and no file system. After each edit the
// text is decoded and compared with what was wanted, so that a file which it
// misunderstands is an error and not a broken engine. It imports nothing of
// berth.
package edit
