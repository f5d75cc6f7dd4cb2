package record

import "golang.org/x/sys/cpu"

// stopAVX2 counts the bytes from b up to a quote, a backslash or a control character, which must come; it may read 31 bytes more.
// far: one of them is beyond ASCII.
//
//go:noescape
func stopAVX2(b *byte) (n int, far bool)

var longText = cpu.X86.HasAVX2
