package lake

import (
	"encoding/binary"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// press compresses page bodies; the columns of one encoder share it and its memory.
//
// Every page is a zstd frame, made in one of two ways. The usual one searches for repetitions. Values without any (hashes, ids, times)
// only waste that search: there a frame of entropy-coded literals is hardly longer and costs a quarter. Each column finds out which on
// its first page, and now and then again.
type press struct {
	enc  *zstd.Encoder
	huff huff0.Scratch
	body []byte // page body under construction
	out  []byte
	alt  []byte
}

func newPress() *press {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(pageBytes), zstd.WithAllLitEntropyCompression(true))
	if err != nil { // only wrong options
		panic(err)
	}
	p := &press{enc: enc}
	p.huff.Reuse = huff0.ReusePolicyNone
	return p
}

// pressWay is how a column's pages are compressed.
type pressWay uint8

const (
	pressTry pressWay = iota // both ways, to find out
	pressSearch
	pressLiterals
)

const (
	// tryBytes is how long a page must be to tell which way is better.
	tryBytes = 16 << 10
	// tryGroups is after how many row groups a column finds out again.
	tryGroups = 8
	// worth is the share by which literals may be longer for their speed: a tenth.
	worth = 10
)

// compress is body as a zstd frame; it is valid until the next call. way is updated by a page that tries both.
func (p *press) compress(body []byte, way *pressWay) []byte {
	if *way == pressLiterals {
		p.out = p.literals(p.out[:0], body)
		return p.out
	}
	p.out = p.enc.EncodeAll(body, p.out[:0])
	if *way == pressSearch || len(body) < tryBytes {
		return p.out
	}
	p.alt = p.literals(p.alt[:0], body)
	*way = pressSearch
	if len(p.alt) <= len(p.out)+len(p.out)/worth {
		*way = pressLiterals
		return p.alt
	}
	return p.out
}

// Parts of a zstd frame (RFC 8878).
const (
	frameMagic    = 0xfd2fb528
	frameHeader   = 2<<6 | 1<<5 // content size in four bytes, single segment
	blockBytes    = 128 << 10
	blockRaw      = 0
	blockSqueezed = 2
)

// literals appends body as a frame whose blocks hold Huffman-coded literals and no sequences; a block that gets no shorter is stored.
func (p *press) literals(dst, body []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, frameMagic)
	dst = append(dst, frameHeader)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	for first := true; first || len(body) > 0; first = false {
		block := body[:min(len(body), blockBytes)]
		body = body[len(block):]
		last := uint32(0)
		if len(body) == 0 {
			last = 1
		}
		out, _, err := huff0.Compress4X(block, &p.huff)
		const literalsHeader, sequences = 5, 1
		size := literalsHeader + len(out) + sequences
		if err != nil || size >= len(block) { // incompressible, or all bytes the same: rare enough to be stored
			dst = append24(dst, last|blockRaw<<1|uint32(len(block))<<3)
			dst = append(dst, block...)
			continue
		}
		dst = append24(dst, last|blockSqueezed<<1|uint32(size)<<3)
		// Compressed literals in four streams, sizes of 18 bits.
		head := uint64(2) | 3<<2 | uint64(len(block))<<4 | uint64(len(out))<<22
		dst = append(dst, byte(head), byte(head>>8), byte(head>>16), byte(head>>24), byte(head>>32))
		dst = append(dst, out...)
		dst = append(dst, 0)
	}
	return dst
}

func append24(dst []byte, v uint32) []byte { return append(dst, byte(v), byte(v>>8), byte(v>>16)) }
