package cni

import (
	"context"
	"errors"

	"berth/hook"
	"berth/internal/state"
	"berth/specs"
)

// Codes of errors: those of the specification ("Error"), and from 100 on berth's own.
const (
	codeVersion       = 1
	codeEnvironment   = 4
	codeIO            = 5
	codeDecoding      = 6
	codeConfiguration = 7
	codeNamespace     = 8
	codeTryAgain      = 11
	codeNotReady      = 50
	codeLimited       = 51
	codeFailed        = 100 // any other cause
	codePolicy        = 101 // an administrator's files refuse it
	codeChanged       = 102 // CHECK: the interface is not as recorded
)

// codedError is an error with its code.
type codedError struct {
	code uint
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func coded(code uint, err error) error { return &codedError{code, err} }

// failure is the error structure that a runtime reads.
type failure struct {
	CNIVersion string `json:"cniVersion"`
	Code       uint   `json:"code"`
	Msg        string `json:"msg"`
}

func errorOf(protocol string, err error) failure {
	return failure{CNIVersion: protocol, Code: codeOf(err), Msg: Program + ": " + err.Error()}
}

func codeOf(err error) uint {
	var c *codedError
	var value *specs.ValueError
	switch {
	case errors.As(err, &c):
		return c.code
	case errors.Is(err, specs.ErrPolicy):
		return codePolicy
	case errors.As(err, &value):
		return codeConfiguration
	case errors.Is(err, state.ErrBusy), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return codeTryAgain
	case errors.Is(err, hook.ErrNamespace):
		return codeNamespace
	}
	return codeFailed
}
