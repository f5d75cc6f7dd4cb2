package mapping

import (
	"strings"
	"testing"
	"time"

	"weir/internal/setfamily"
	"weir/record"
)

// BenchmarkFamily runs the sets of each style over the same records, without writing files.
func BenchmarkFamily(b *testing.B) {
	cases := setfamily.Cases()
	for i := range cases {
		c := &cases[i]
		if c.Leaves < 50 || c.Leaves > 60 {
			continue
		}
		b.Run(c.Name, func(b *testing.B) {
			p, err := NewProgram(familySet(b, c), familyTarget(b, c), familyShape(c))
			if err != nil {
				b.Fatal(err)
			}
			text := strings.Join(familyLines(c, 0, 2000), "\n") + "\n"
			lane := p.NewLane("run", time.Now())
			buf := append([]byte(text), make([]byte, record.Pad)...)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				for at := 0; at < len(text); {
					at = lane.Scan(buf, at, len(text), 0)
					buf = lane.Batch().Buf[:len(text)+record.Pad]
				}
			}
		})
	}
}
