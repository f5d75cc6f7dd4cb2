package xdm

import "testing"

// BenchmarkLibraryLoad expands the whole notation, which happens once per process on first use.
func BenchmarkLibraryLoad(b *testing.B) {
	names, err := libraryFiles.ReadDir("library")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, n := range names {
			text, err := libraryFiles.ReadFile("library/" + n.Name())
			if err != nil {
				b.Fatal(err)
			}
			if _, err := parseNotation(n.Name(), string(text)); err != nil {
				b.Fatal(err)
			}
		}
	}
}
