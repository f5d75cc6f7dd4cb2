//go:build !amd64

package rest

func masks(b *[64]byte) (quotes, opens, closes, slashes, high uint64) { return masksPlain(b) }
