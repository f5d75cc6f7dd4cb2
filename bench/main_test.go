package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestMembersAreFixed holds the data set: figures of different days are comparable only over the same records.
func TestMembersAreFixed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.ndjson")
	if err := writeMembers(path, 2000); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	if got := hex.EncodeToString(sum[:]); got != members2000 {
		t.Errorf("the first 2000 members have sha256 %s, want %s", got, members2000)
	}
	for i := range 50 {
		if !json.Valid(appendMember(nil, i)) {
			t.Errorf("member %d is not JSON", i)
		}
	}
}

// members2000 is the hash of the first 2000 lines.
const members2000 = "f5dfa1d9d596c77a6d9e2d1c204d6fad263629c6c2dae586cb33316777f33a77"
