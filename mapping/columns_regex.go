package mapping

import (
	"regexp"
	"regexp/syntax"
	"slices"
)

// matcher searches with a regular expression. ASCII text runs over a table of states, one step per byte; all other text, and the
// few patterns a table cannot hold, go to package regexp.
type matcher struct {
	re    *regexp.Regexp
	table [][128]uint16 // state → byte → state; state 0 is the start, acceptState an end
	final []bool        // whether a text that ends in the state matches
}

const (
	maxStates   = 300
	acceptState = 1<<16 - 1
)

// newMatcher prepares a search with re.
func newMatcher(re *regexp.Regexp) *matcher {
	m := &matcher{re: re}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return m
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return m
	}
	b := &tableBuilder{prog: prog, ids: map[string]uint16{}}
	if b.build() {
		m.table, m.final = b.table, b.final
	}
	return m
}

// match reports whether the pattern is found in v.
func (m *matcher) match(v []byte) bool {
	if m.table == nil {
		return m.re.Match(v)
	}
	s := uint16(0)
	for _, c := range v {
		if c >= 128 {
			return m.re.Match(v)
		}
		if s = m.table[s][c]; s == acceptState {
			return true
		}
	}
	return m.final[s]
}

// tableBuilder builds the states: sets of positions of the program.
type tableBuilder struct {
	prog  *syntax.Prog
	ids   map[string]uint16
	sets  [][]uint32
	table [][128]uint16
	final []bool
	odd   bool // an assertion that the table cannot express
}

func (b *tableBuilder) build() bool {
	first, accept := b.closure([]uint32{uint32(b.prog.Start)}, true, false)
	if b.odd || accept {
		return false
	}
	b.state(first)
	for i := 0; i < len(b.sets); i++ {
		if len(b.sets) > maxStates || b.odd {
			return false
		}
		for c := range rune(128) {
			// The search may begin at every position.
			next := []uint32{uint32(b.prog.Start)}
			for _, pc := range b.sets[i] {
				if in := &b.prog.Inst[pc]; takes(in, c) {
					next = append(next, in.Out)
				}
			}
			set, accept := b.closure(next, false, false)
			if accept {
				b.table[i][c] = acceptState
			} else {
				b.table[i][c] = b.state(set)
			}
		}
	}
	return !b.odd && len(b.sets) <= maxStates
}

// state is the number of a set, new if it was not seen.
func (b *tableBuilder) state(set []uint32) uint16 {
	key := make([]byte, 0, 4*len(set))
	for _, pc := range set {
		key = append(key, byte(pc), byte(pc>>8), byte(pc>>16), byte(pc>>24))
	}
	if id, ok := b.ids[string(key)]; ok {
		return id
	}
	id := uint16(len(b.sets))
	b.ids[string(key)] = id
	_, accept := b.closure(set, false, true)
	b.sets = append(b.sets, set)
	b.table = append(b.table, [128]uint16{})
	b.final = append(b.final, accept)
	return id
}

// closure follows all steps that take no character. The set keeps what waits for a character or for the end of the text.
func (b *tableBuilder) closure(from []uint32, begin, end bool) (set []uint32, accept bool) {
	seen := map[uint32]bool{}
	var walk func(pc uint32)
	walk = func(pc uint32) {
		if seen[pc] {
			return
		}
		seen[pc] = true
		in := &b.prog.Inst[pc]
		switch in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			walk(in.Out)
			walk(in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			walk(in.Out)
		case syntax.InstMatch:
			accept = true
		case syntax.InstFail:
		case syntax.InstEmptyWidth:
			switch syntax.EmptyOp(in.Arg) {
			case syntax.EmptyBeginText:
				b.odd = b.odd || end // "$^": a state cannot tell whether it is at both ends
				if begin {
					walk(in.Out)
				}
			case syntax.EmptyEndText:
				if end {
					walk(in.Out)
				} else {
					set = append(set, pc)
				}
			default:
				b.odd = true
			}
		default:
			set = append(set, pc)
		}
	}
	for _, pc := range from {
		walk(pc)
	}
	slices.Sort(set)
	return set, accept
}

// takes reports whether an instruction consumes c.
func takes(in *syntax.Inst, c rune) bool {
	switch in.Op {
	case syntax.InstRune:
		return in.MatchRune(c)
	case syntax.InstRune1:
		return in.Rune[0] == c
	case syntax.InstRuneAny:
		return true
	case syntax.InstRuneAnyNotNL:
		return c != '\n'
	default:
	}
	return false
}
