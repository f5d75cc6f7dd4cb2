package mapping

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// Env is what an expression may know beside its record. One Env serves one record at a time; [Env.Next] moves it on.
// It must not be shared by goroutines. Expressions and transformers may be: each goroutine brings its own Env.
type Env struct {
	// Now is the instant of the record: now() and timestamp() give it however often they are called.
	Now time.Time
	// Run and Record seed uuid(): the same run, record position and call site give the same ids, so that a resumed run writes the same rows.
	// An empty Run gives random ids.
	Run    string
	Record int64

	calls  []siteCount
	zones  map[string]knownZone
	agents map[string]*userAgent
}

// knownZone is a zone that was looked for, or why there is none.
type knownZone struct {
	loc *time.Location
	err error
}

type siteCount struct {
	site uint64
	n    uint32
}

// NewEnv returns an Env for records of a run ("" for none) that are read at an instant.
func NewEnv(run string, now time.Time) *Env { return &Env{Now: now, Run: run} }

// Next moves to the record at a position of the run.
func (e *Env) Next(position int64) {
	e.Record = position
	e.calls = e.calls[:0]
}

// uuid is a version 4 uuid for a call site, new for each call of a record.
func (e *Env) uuid(site uint64) string {
	var b [16]byte
	if e.Run == "" {
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	} else {
		var seed [20]byte
		binary.BigEndian.PutUint64(seed[:], uint64(e.Record))
		binary.BigEndian.PutUint64(seed[8:], site)
		binary.BigEndian.PutUint32(seed[16:], e.count(site))
		h := sha256.New()
		h.Write([]byte(e.Run))
		h.Write([]byte{0})
		h.Write(seed[:])
		copy(b[:], h.Sum(nil))
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var out [36]byte
	hex.Encode(out[:8], b[:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:], b[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

func (e *Env) count(site uint64) uint32 {
	for i := range e.calls {
		if e.calls[i].site == site {
			e.calls[i].n++
			return e.calls[i].n
		}
	}
	e.calls = append(e.calls, siteCount{site: site})
	return 0
}

// maxKnown and maxKnownText bound what an Env remembers of each kind: how many texts, and how long.
const (
	maxKnown     = 1000
	maxKnownText = 1 << 10
)

// zone is zoneOf with a memory.
func (e *Env) zone(name string) (*time.Location, error) {
	if z, ok := e.zones[name]; ok {
		return z.loc, z.err
	}
	if len(name) > maxKnownText {
		return zoneOf(name)
	}
	name = strings.Clone(name) // it may be a part of a buffer that is used again
	l, err := zoneOf(name)
	if e.zones == nil || len(e.zones) >= maxKnown {
		e.zones = map[string]knownZone{}
	}
	e.zones[name] = knownZone{l, err}
	return l, err
}

// agent is parseAgent with a memory: agents come again and again, and several mappings read the same one.
func (e *Env) agent(text string) *userAgent {
	if a := e.agents[text]; a != nil {
		return a
	}
	if len(text) > maxKnownText {
		return parseAgent(text)
	}
	text = strings.Clone(text)
	a := parseAgent(text)
	if e.agents == nil || len(e.agents) >= maxKnown {
		e.agents = map[string]*userAgent{}
	}
	e.agents[text] = a
	return a
}
