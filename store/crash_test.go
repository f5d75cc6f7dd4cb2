package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir"
)

// chainSteps is how many jobs a chain has: each does one step of the run and enqueues the next.
const chainSteps = 8

// chain is the handler of a job that does step n of run "r": it counts the step in a document, records it, enqueues the next and completes
// itself, in one transaction. at is called in the middle of each step, in and out of the transaction.
func chain(s *Store, at func(step int, inTx bool)) Handler {
	return func(ctx context.Context, task *Task) error {
		var n int
		if err := json.Unmarshal(task.Args, &n); err != nil {
			return err
		}
		at(n, false)
		return s.Tx(ctx, func(tx *Tx) error {
			if err := count(tx); err != nil {
				return err
			}
			if err := tx.PutStep("r", n, nil); err != nil {
				return err
			}
			if n+1 < chainSteps {
				if _, err := tx.Enqueue(Job{Kind: "chain", Key: fmt.Sprint(n + 1), Args: n + 1}); err != nil {
					return err
				}
			}
			at(n, true)
			return task.Complete(tx)
		})
	}
}

func count(tx *Tx) error {
	d, err := tx.Get(weir.KindRun, prod, "r")
	if err != nil {
		return err
	}
	var body struct {
		Count int `json:"count"`
	}
	if err := d.Read(&body); err != nil {
		return err
	}
	body.Count++
	if d.Body, err = json.Marshal(body); err != nil {
		return err
	}
	return tx.Update(d, ann)
}

// childMain is a worker process that says where it is and hangs in the middle of step 3, to be killed there.
func childMain(where string) int {
	ctx := context.Background()
	s, err := Open(ctx, Config{URL: os.Getenv("WEIR_STORE_URL"), MasterKey: testKey})
	if err != nil {
		fmt.Println("child:", err)
		return 1
	}
	err = s.Work(ctx, WorkConfig{LeaseTTL: childTTL(), Handlers: map[string]Handler{"chain": chain(s, func(step int, inTx bool) {
		if step == 3 && inTx == (where == "inside") {
			fmt.Println("hanging")
			select {}
		}
	})}})
	fmt.Println("child:", err)
	return 1
}

func childTTL() time.Duration {
	d, _ := time.ParseDuration(os.Getenv("WEIR_STORE_TTL")) // 0 is the default
	return d
}

// kill starts a worker process, waits until it hangs in the middle of a step and kills it there.
func kill(t *testing.T, s testStore, where string, ttl time.Duration) (at time.Time) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "WEIR_STORE_CHILD="+where, "WEIR_STORE_URL="+s.url, "WEIR_STORE_TTL="+ttl.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "hanging" {
		t.Errorf("the child says %q (%v)", line, err)
	}
	if err := cmd.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	at = time.Now()
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) {
		t.Fatalf("the child ended with %v", err)
	}
	return at
}

// TestKilledWorker kills a process in the middle of a step; another worker takes the chain over, and every step has happened once.
func TestKilledWorker(t *testing.T) {
	for _, where := range []string{"inside", "outside"} {
		for _, embedded := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s the transaction, embedded %t", where, embedded), func(t *testing.T) {
				each(t, func(t *testing.T, s testStore) {
					t.Helper()
					killedWorker(t, s, where, embedded)
				})
			})
		}
	}
}

func killedWorker(t *testing.T, s testStore, where string, embedded bool) {
	t.Helper()
	insert(t, s, doc(weir.KindRun, "r", `{"count":0}`))
	s.enqueue(t, Job{Kind: "chain", Key: "0", Args: 0})
	ttl := 500 * time.Millisecond
	if embedded {
		ttl = time.Hour // nobody waits for that one
	}
	killed := kill(t, s, where, ttl)
	resumed, done := make(chan int, chainSteps), make(chan bool, chainSteps)
	handler := chain(s.Store, func(int, bool) {})
	work(t, s.Store, WorkConfig{LeaseTTL: ttl, Embedded: embedded, Handlers: map[string]Handler{"chain": func(ctx context.Context, task *Task) error {
		resumed <- 10*task.Failures + task.Attempt
		err := handler(ctx, task)
		if err == nil && string(task.Args) == fmt.Sprint(chainSteps-1) {
			done <- true
		}
		return err
	}}})
	if attempt := receive(t, resumed, "the takeover"); attempt != 2 {
		t.Errorf("the step goes on with attempt %d; a death is an attempt but no failure", attempt)
	}
	t.Logf("taken over %s after the kill", time.Since(killed).Round(time.Millisecond))
	receive(t, done, "the last step")
	if got := string(s.get(t, weir.KindRun, prod, "r").Body); got != fmt.Sprintf(`{"count":%d}`, chainSteps) {
		t.Errorf("the steps were counted as %s", got)
	}
	s.tx(t, func(tx *Tx) error {
		steps, err := tx.Steps("r")
		if err == nil && len(steps) != chainSteps {
			t.Errorf("%d steps are recorded", len(steps))
		}
		return err
	})
}
