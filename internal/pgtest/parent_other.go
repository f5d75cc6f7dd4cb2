//go:build !linux

package pgtest

import "syscall"

// dieWithParent does nothing here: the system has no such thing.
func dieWithParent(*syscall.SysProcAttr) {}
