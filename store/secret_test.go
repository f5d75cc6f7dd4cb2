package store

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"weir"
)

func TestSecretsAreSealed(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		d := doc(weir.KindConnection, "c", `{"auth":{"specName":"Basic"}}`)
		d.Secret = json.RawMessage(`{"password":"hunter2"}`)
		bare := doc(weir.KindConnection, "none", `{}`)
		insert(t, s, d, bare)
		if got := s.get(t, weir.KindConnection, prod, "c"); got.Secret != nil {
			t.Error("Get brings the secret")
		}
		reveal := func(d *weir.Doc) string {
			t.Helper()
			var secret json.RawMessage
			err := s.View(t.Context(), func(tx *Tx) (err error) {
				secret, err = tx.Reveal(d)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return string(secret)
		}
		if got := reveal(s.get(t, weir.KindConnection, prod, "c")); got != `{"password":"hunter2"}` {
			t.Errorf("revealed %s", got)
		}
		if got := reveal(bare); got != "" {
			t.Errorf("no secret reveals %s", got)
		}
		// An update without a secret keeps it, one with a secret replaces it.
		kept := s.get(t, weir.KindConnection, prod, "c")
		s.tx(t, func(tx *Tx) error { return tx.Update(kept, ann) })
		if got := reveal(kept); got != `{"password":"hunter2"}` {
			t.Errorf("after an update: %s", got)
		}
		kept.Secret = json.RawMessage(`{"password":"new"}`)
		s.tx(t, func(tx *Tx) error { return tx.Update(kept, ann) })
		if got := reveal(kept); got != `{"password":"new"}` {
			t.Errorf("after a change: %s", got)
		}
		var sealed []byte
		if err := s.db.QueryRowContext(t.Context(), "SELECT secret FROM documents WHERE id = 'c'").Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(sealed, []byte("new")) {
			t.Error("the secret is stored in clear")
		}
		// Copied into another document it does not open.
		if _, err := s.db.ExecContext(t.Context(), "UPDATE documents SET secret = $1 WHERE id = 'none'", sealed); err != nil {
			t.Fatal(err)
		}
		err := s.View(t.Context(), func(tx *Tx) error {
			secret, err := tx.Reveal(bare)
			if err == nil || strings.Contains(err.Error(), "new") {
				t.Errorf("a copied secret opens: %s %v", secret, err)
			}
			_, err = tx.Reveal(&weir.Doc{Kind: weir.KindConnection, ID: "gone", Scope: prod})
			wantErr(t, err, weir.ErrNotFound)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestKeyRotation(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		other := testStore{open(t, s.url, s.clock.now), s.clock, s.url} // a second process, with the first keyset in memory
		secret := func(id string) *weir.Doc {
			d := doc(weir.KindConnection, id, `{}`)
			d.Secret = json.RawMessage(`"` + id + `"`)
			return d
		}
		insert(t, s, secret("old"))
		if err := s.RotateKey(t.Context()); err != nil {
			t.Fatal(err)
		}
		insert(t, s, secret("new"))
		insert(t, other, secret("unaware"))
		third := testStore{open(t, s.url, s.clock.now), s.clock, s.url}
		for _, reader := range []testStore{s, other, third} {
			for _, id := range []string{"old", "new", "unaware"} {
				err := reader.View(t.Context(), func(tx *Tx) error {
					got, err := tx.Reveal(doc(weir.KindConnection, id, `{}`))
					if string(got) != `"`+id+`"` {
						t.Errorf("%s: %s %v", id, got, err)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		}
	})
}

func TestWrongMasterKey(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		for name, key := range map[string][]byte{"another": bytes.Repeat([]byte{8}, 32), "short": []byte("short"), "none": nil} {
			other, err := Open(t.Context(), Config{URL: s.url, MasterKey: key})
			if err == nil {
				_ = other.Close()
				t.Fatalf("%s key: the store opens", name)
			}
			if !strings.Contains(err.Error(), "master key") || strings.Contains(err.Error(), "short") {
				t.Errorf("%s key: %v", name, err)
			}
		}
	})
}

func TestLoadOrCreateKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "master.key")
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := LoadOrCreateKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, key := range keys {
		if len(key) != masterKeyLen || !bytes.Equal(key, keys[0]) {
			t.Fatalf("starting together gives keys %x", keys)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("files left behind: %v", files)
	}
	if err := os.WriteFile(path, []byte("zz"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKey(path); err == nil || strings.Contains(err.Error(), "zz") {
		t.Errorf("a broken file: %v", err)
	}
}
