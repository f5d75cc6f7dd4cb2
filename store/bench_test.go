package store

import (
	"fmt"
	"strings"
	"testing"

	"weir"
)

// benchDocs is the size of the collection that the benchmarks read.
const benchDocs = 20_000

func benchEach(b *testing.B, run func(b *testing.B, s *Store)) {
	b.Helper()
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			if name == "postgres" && postgres == nil {
				b.Skip(noPostgres)
			}
			s, err := Open(b.Context(), Config{URL: databaseURL(b, name), MasterKey: testKey})
			if err != nil {
				b.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					b.Error(err)
				}
			}()
			run(b, s)
		})
	}
}

// fill makes a collection of runs like the real ones, of 200 flows.
func fill(b *testing.B, s *Store) {
	b.Helper()
	pad := strings.Repeat("x", 300)
	for from := 0; from < benchDocs; from += 1000 {
		err := s.Tx(b.Context(), func(tx *Tx) error {
			for i := from; i < from+1000; i++ {
				status := "success"
				if i%100 == 0 {
					status = "failed"
				}
				d := doc(weir.KindRun, fmt.Sprintf("run-%05d", i), fmt.Sprintf(
					`{"name":"run %d","flowId":"flow-%d","metrics":{"statusSummary":{"status":%q},"durationSummary":{"startedAtUTC":%d}},"pad":%q,"activities":[{"id":"copyActivity"},{"id":"promotionActivity","n":%d}]}`,
					i, i%200, status, 1_700_000_000_000+i, pad, i))
				if err := tx.Insert(d, ann); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	benchEach(b, func(b *testing.B, s *Store) {
		b.Helper()
		fill(b, s)
		b.Run("get", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				err := s.View(b.Context(), func(tx *Tx) error {
					_, err := tx.Get(weir.KindRun, prod, fmt.Sprintf("run-%05d", i%benchDocs))
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		for name, filter := range map[string]string{
			"page":             "",
			"flowId (indexed)": "flowId==flow-7",
			"flowId, status":   "flowId==flow-7,metrics.statusSummary.status==failed",
			"status, rare":     "metrics.statusSummary.status==failed",
			"number range":     "metrics.durationSummary.startedAtUTC>1700000019990",
			"array, one match": "activities[].n==17",
			"header":           "createdBy==nobody",
		} {
			b.Run(name, func(b *testing.B) {
				where, _, perr := ParseProperty([]string{filter}, nil)
				if perr != nil {
					b.Fatal(perr)
				}
				q := Query{Kind: weir.KindRun, Scopes: []weir.Scope{prod}, Where: where, Limit: 20}
				for b.Loop() {
					err := s.View(b.Context(), func(tx *Tx) error {
						_, _, err := tx.Find(q)
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	benchEach(b, func(b *testing.B, s *Store) {
		b.Helper()
		if err := s.Tx(b.Context(), func(tx *Tx) error { return tx.Insert(doc(weir.KindRun, "r", `{"name":"a"}`), ann) }); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			err := s.Tx(b.Context(), func(tx *Tx) error {
				d, err := tx.Get(weir.KindRun, prod, "r")
				if err != nil {
					return err
				}
				return tx.Update(d, bob)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStep is what a flow run does most: a step, the next job and the end of this one in a transaction.
func BenchmarkStep(b *testing.B) {
	benchEach(b, func(b *testing.B, s *Store) {
		b.Helper()
		n := 0
		for b.Loop() {
			n++
			err := s.Tx(b.Context(), func(tx *Tx) error {
				if err := tx.PutStep("r", n, nil); err != nil {
					return err
				}
				_, err := tx.Enqueue(Job{Kind: "run.copy", Key: fmt.Sprint(n)})
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
