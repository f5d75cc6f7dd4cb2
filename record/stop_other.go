//go:build !amd64

package record

const longText = false

func stopAVX2(*byte) (n int, far bool) { return 0, false }
