// Command bench measures Weir beside DuckDB: the promotion alone (bench promotion) and a whole flow run (bench flow);
// the copy beside a client that only reads bytes (bench copy); and how the speed of promotions is spread over a family of mapping sets (bench
// family).
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run picks the subcommand.
func run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "copy":
			return copyMain(args[1:])
		case "family":
			return familyMain(args[1:])
		case "flow":
			return flowMain(args[1:])
		case "promotion":
			return promotionMain(args[1:])
		}
	}
	return errors.New("usage: bench promotion [flags] | bench flow [flags] | bench family [flags] | bench copy [flags]")
}
