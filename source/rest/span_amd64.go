package rest

import processor "golang.org/x/sys/cpu"

// masksAVX2 does the same as masksPlain, 32 bytes at a time.
//
//go:noescape
func masksAVX2(b *[64]byte) (quotes, opens, closes, slashes, high uint64)

var fastMasks = processor.X86.HasAVX2

func masks(b *[64]byte) (quotes, opens, closes, slashes, high uint64) {
	if fastMasks {
		return masksAVX2(b)
	}
	return masksPlain(b)
}
