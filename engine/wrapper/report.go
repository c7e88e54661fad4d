package wrapper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// reportError writes an error to stderr, and to the runtime's log as the runtime would: engines
// read their message there.
func (c *Call) reportError(stderr io.Writer, wrong error) {
	fmt.Fprintln(stderr, "berth-runtime:", oneLine(wrong))
	if err := c.appendLog("berth-runtime", wrong); err != nil {
		fmt.Fprintln(stderr, "berth-runtime: the runtime's log:", err)
	}
}

// logFile returns the runtime's log, or "" if it is no file. crun accepts file:PATH,
// journald:ID and syslog:ID too.
func (c *Call) logFile() string {
	if !readsByGetopt(c.Runtime) {
		return c.Log
	}
	switch kind, path, prefixed := strings.Cut(c.Log, ":"); {
	case prefixed && kind == "file":
		return path
	case prefixed && (kind == "journald" || kind == "syslog"):
		return ""
	}
	return c.Log
}

// Log adds an error to the log named in the arguments of a runtime; without one it does
// nothing.
func Log(runtime string, args []string, program string, wrong error) error {
	c, err := Parse(runtime, args, func(string) (string, error) { return runtime, nil })
	if err != nil {
		return err
	}
	return c.appendLog(program, wrong)
}

// appendLog adds a line to the runtime's log, in logrus's JSON or text.
func (c *Call) appendLog(program string, wrong error) error {
	path := c.logFile()
	if path == "" {
		return nil
	}
	line, err := c.logLine(program+": "+oneLine(wrong), time.Now())
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644) // as runc does (main.go, configLogrus)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	return errors.Join(err, f.Close())
}

func (c *Call) logLine(message string, now time.Time) ([]byte, error) {
	at := now.Format(time.RFC3339)
	if c.LogFormat != "json" {
		return fmt.Appendf(nil, "time=%q level=error msg=%q\n", at, message), nil
	}
	line, err := json.Marshal(struct {
		Level string `json:"level"`
		Msg   string `json:"msg"`
		Time  string `json:"time"`
	}{"error", message, at})
	return append(line, '\n'), err
}

// oneLine joins the lines of an error.
func oneLine(err error) string {
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
