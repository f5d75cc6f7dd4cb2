package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/blob"
	"weir/client"
	"weir/internal/pgtest"
	"weir/lake"
)

// killCount is how many kills a pager type gets: WEIR_TEST_KILLS, else a few.
func killCount(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("WEIR_TEST_KILLS")
	if text == "" {
		t.Logf("%d kills each; WEIR_TEST_KILLS=200 makes it 200", few)
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("WEIR_TEST_KILLS is %q, not a number of kills", text)
	}
	return n
}

// killSeed is where the random numbers come from: WEIR_TEST_SEED, else the clock.
func killSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("WEIR_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("WEIR_TEST_SEED: %v", err)
		}
	}
	t.Logf("seed %d; WEIR_TEST_SEED=%d takes the same pages", seed, seed)
	return seed
}

// TestKillsInEveryPager kills the process with SIGKILL at random pages of every way to page, while the page is asked for, in the middle
// of its body or a moment after it, and starts it again on the same folder, many times in one run. Every run ends with exactly the
// records of the source, in its order, and a kill has no more pages fetched again than the source's rule says: one.
func TestKillsInEveryPager(t *testing.T) {
	kills, seed := killCount(t, 3), killSeed(t)
	for _, shape := range pagedSources {
		t.Run(shape.name, func(t *testing.T) {
			t.Parallel()
			killPager(t, &shape, kills, seed)
		})
	}
}

// TestKillsOnPostgreSQL is the same with the other database: the next process goes on when the lease of the dead one has run out.
func TestKillsOnPostgreSQL(t *testing.T) {
	pg, err := pgtest.Start()
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pg.Stop() }()
	kills := min(killCount(t, 2), 20)
	i := slices.IndexFunc(pagedSources, func(p pagedSource) bool { return p.name == "CONTINUATION_TOKEN" })
	killPager(t, &pagedSources[i], kills, killSeed(t), "--database", pg.Database(t), "--lease-ttl", "1s")
}

// killPager makes the kills of one way to page, in as many runs as it takes.
func killPager(t *testing.T, shape *pagedSource, kills int, seed uint64, args ...string) {
	t.Helper()
	begun := time.Now()
	h := fnv.New64a()
	_, _ = io.WriteString(h, shape.name)
	k := &killer{s: newServer(t, args...), shape: shape, rng: rand.New(rand.NewPCG(seed, h.Sum64())), kills: kills}
	k.perRun = min(kills, max(shape.requests/4, 1))
	k.src = newPageServer(t, shape)
	k.s.start("")
	for k.made < kills {
		k.run()
	}
	k.s.stageEmpty()
	k.s.stop(syscall.SIGTERM)
	slices.Sort(k.recovered)
	t.Logf("%d kills (%d before, %d inside, %d after an answer) in %d runs: %d requests for %d pages, at most %d again per kill, at most %d of one page; "+
		"recovery min %v, median %v, max %v; elapsed %v", k.made, k.modes[killBefore], k.modes[killInside], k.modes[killAfter], k.runs, k.requests, k.pages, k.most, k.mostOne,
		k.recovered[0].Round(time.Millisecond), k.recovered[len(k.recovered)/2].Round(time.Millisecond), k.recovered[len(k.recovered)-1].Round(time.Millisecond),
		time.Since(begun).Round(time.Millisecond))
}

// killer kills one weir process after the other.
type killer struct {
	s     *server
	shape *pagedSource
	src   *pageServer
	rng   *rand.Rand

	kills, perRun int // wanted in all, and about as many in one run
	made, runs    int
	modes         [3]int
	requests      int // to the source
	pages         int // distinct ones
	most, mostOne int // pages fetched again after one kill, requests of one page
	recovered     []time.Duration
}

// arm has the source kill at a random one of the next requests, unless there were enough kills.
func (k *killer) arm() {
	if k.made >= k.kills {
		k.src.arm(0, 0, 0)
		return
	}
	k.src.arm(1+k.rng.IntN(max(2*k.shape.requests/(k.perRun+1), 1)), killMode(k.rng.IntN(3)), k.rng.Float64())
}

// watched is a flow's run that has ended, as a process showed it that lives.
type watched struct {
	run weir.Run
	api client.Client
}

// watch waits in the background until the flow's run has ended. base is the address of the process, "" for the one it announces.
func (k *killer) watch(ctx context.Context, base, flow string) <-chan watched {
	ended := make(chan watched, 1)
	s := &server{t: k.s.t, out: k.s.out, api: k.s.api}
	go func() {
		if base == "" {
			select {
			case base = <-s.out.address:
			case <-ctx.Done():
				return
			}
		}
		s.api.Base = base
		for ctx.Err() == nil { // a process that is being killed answers with errors
			if runs, err := s.runs(ctx, flow); err == nil && len(runs) > 0 {
				if st := runs[0].Metrics.Status.Status; st == weir.RunSuccess || st == weir.RunFailed {
					ended <- watched{runs[0], s.api}
					return
				}
			}
			_ = pause(ctx, 20*time.Millisecond)
		}
	}()
	return ended
}

// run makes one run with its kills and checks what came of it.
func (k *killer) run() {
	t := k.s.t
	t.Helper()
	k.src.begin()
	k.arm()
	base := k.s.api.Base
	dataset, flow := k.s.flowOf(k.src.attributes(), object{"startTime": time.Now().Unix(), "frequency": "once"})
	var dead []time.Time // when each life ended
	var end watched
	for end.api.Base == "" {
		ctx, cancel := context.WithCancel(t.Context())
		ended := k.watch(ctx, base, flow)
		select {
		case h := <-k.src.hit:
			if h.mode == killAfter {
				<-time.After(time.Duration(k.rng.Float64() * float64(k.shape.moment)))
			}
			k.s.stop(syscall.SIGKILL)
			dead = append(dead, time.Now())
			close(h.dead)
			k.made++
			k.modes[h.mode]++
			k.src.nextLife()
			k.arm()
			k.s.launch("")
			base = ""
		case end = <-ended:
		case err := <-k.s.done:
			k.s.cmd = nil
			t.Fatalf("weir ended by itself: %v\n%s", err, k.s.out.tail())
		case <-time.After(2 * time.Minute):
			t.Fatalf("nothing happens\n%s", k.s.out.tail())
		}
		cancel()
	}
	over := time.Now()
	k.src.arm(0, 0, 0)
	k.s.api = end.api
	k.runs++
	if st := end.run.Metrics.Status; st.Status != weir.RunSuccess {
		t.Fatalf("run ended %s after %d kills: %+v", st.Status, len(dead), st.Errors)
	}
	n := int64(k.shape.records)
	if r := end.run.Metrics.Records; r.Input != n || r.Output != n || r.Failed != 0 {
		t.Errorf("run reports in %d, out %d, failed %d; want %d, %d, 0", r.Input, r.Output, r.Failed, n, n)
	}
	k.checkRows(dataset)
	k.checkFetches(dead, over)
	if t.Failed() {
		t.FailNow()
	}
}

// checkRows compares the committed rows with the source's records: all of them, once, in order.
func (k *killer) checkRows(dataset string) {
	t := k.s.t
	t.Helper()
	got := k.s.committed(dataset)
	for i := range max(len(got), k.shape.records) {
		switch want := k.src.row(i); {
		case i >= k.shape.records:
			t.Fatalf("%d rows, want %d; row %d is %s", len(got), k.shape.records, i, got[i])
		case i >= len(got):
			t.Fatalf("%d rows, want %d", len(got), k.shape.records)
		case got[i] != want:
			t.Fatalf("row %d is %s\nwant %s", i, got[i], want)
		}
	}
}

// checkFetches holds the requests against the rule: no process asks for a page twice, and after a kill the next one asks again for no
// more pages than the source allows, of each level, and only for the last ones asked for.
func (k *killer) checkFetches(dead []time.Time, over time.Time) {
	t := k.s.t
	t.Helper()
	lives := k.src.fetches(len(dead) + 1)
	times := map[string]int{}
	order := map[string][]string{} // level → pages as first asked for
	for life, list := range lives {
		again := map[string][]string{}
		before := map[string][]string{}
		for level, pages := range order {
			before[level] = slices.Clone(pages)
		}
		mine := map[string]bool{}
		for _, f := range list {
			level := levelOf(f.page)
			if mine[f.page] {
				t.Errorf("one process asked twice for %s", f.page)
			}
			mine[f.page] = true
			if times[f.page]++; times[f.page] == 1 {
				order[level] = append(order[level], f.page)
				continue
			}
			again[level] = append(again[level], f.page)
			if last := before[level][len(before[level])-1]; k.shape.again[level] == 1 && f.page != last {
				t.Errorf("after kill %d %s was asked for again, not the last one, %s", life, f.page, last)
			}
		}
		all := 0
		for level, pages := range again {
			if all += len(pages); len(pages) > k.shape.again[level] {
				t.Errorf("after kill %d %d pages were asked for again: %q; %d may be", life, len(pages), pages, k.shape.again[level])
			}
		}
		k.most = max(k.most, all)
		k.requests += len(list)
	}
	k.pages += len(times)
	for _, n := range times {
		k.mostOne = max(k.mostOne, n)
	}
	for life, at := range dead {
		next := over
		for _, list := range lives[life+1:] {
			if len(list) > 0 {
				next = list[0].at
				break
			}
		}
		if life+1 < len(dead) && next.After(dead[life+1]) {
			continue // killed again before it came to anything
		}
		k.recovered = append(k.recovered, next.Sub(at))
	}
}

// committed are the rows of a dataset as Data Access hands out their files: canonical JSON in the order of the files.
func (s *server) committed(dataset string) []string {
	s.t.Helper()
	ctx := s.t.Context()
	var batches map[string]struct {
		Status string `json:"status"`
	}
	if _, err := s.api.Do(ctx, http.MethodGet, catalogPath+"/batches?dataSet="+dataset, nil, nil, &batches); err != nil {
		s.t.Fatal(err)
	}
	bucket, err := blob.Open(ctx, "file://"+s.t.TempDir())
	if err != nil {
		s.t.Fatal(err)
	}
	defer bucket.Close()
	l, err := lake.Open(ctx, bucket, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	var files []lake.DataFile
	for id, b := range batches {
		if b.Status != "success" || len(batches) != 1 {
			s.t.Fatalf("one successful batch is expected: %+v", batches)
		}
		for _, f := range s.listed(exportPath + "/batches/" + id + "/files") {
			for _, p := range s.listed(exportPath + "/files/" + f.FileID) {
				raw := s.download(exportPath + "/files/" + f.FileID + "?path=" + url.QueryEscape(p.Name))
				if err := bucket.Write(ctx, p.Name, raw); err != nil {
					s.t.Fatal(err)
				}
				files = append(files, lake.DataFile{URI: bucket.URI(p.Name)})
			}
		}
	}
	slices.SortFunc(files, func(a, b lake.DataFile) int { return cmp.Compare(a.URI, b.URI) })
	var rows []string
	err = l.ReadFiles(ctx, files, -1, func(raw json.RawMessage) error {
		row, err := canonical(raw)
		rows = append(rows, row)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// exported is a line of a Data Access listing.
type exported struct {
	FileID string `json:"dataSetFileId"`
	Name   string `json:"name"`
}

func (s *server) listed(path string) []exported {
	s.t.Helper()
	var page struct {
		Data []exported `json:"data"`
	}
	if _, err := s.api.Do(s.t.Context(), http.MethodGet, path, nil, nil, &page); err != nil {
		s.t.Fatal(err)
	}
	return page.Data
}

func (s *server) download(path string) []byte {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.api.Base+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + s.api.Token, "x-api-key": s.api.APIKey, "x-gw-ims-org-id": s.api.Org, "x-sandbox-name": s.api.Sandbox} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s %v %s", path, res.Status, err, raw)
	}
	return raw
}

// canonical sorts the members of a row and calls the tenant's member tenant.
func canonical(raw []byte) (string, error) {
	var row map[string]any
	if err := json.Unmarshal(raw, &row); err != nil {
		return "", err
	}
	for name, v := range row {
		if _, isObject := v.(map[string]any); isObject && strings.HasPrefix(name, "_") && name != "_repo" {
			delete(row, name)
			row["tenant"] = v
		}
	}
	out, err := json.Marshal(row)
	return string(out), err
}

// stageEmpty waits until nothing is left of what runs had in the stage.
func (s *server) stageEmpty() {
	s.t.Helper()
	var stray []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); _ = pause(s.t.Context(), 10*time.Millisecond) {
		if stray, _ = filepath.Glob(filepath.Join(s.dir, "lake", "stage", "*", "*")); len(stray) == 0 {
			return
		}
	}
	s.t.Errorf("the stage still holds %q", stray)
}

// levelOf is the kind of page: those of parents count apart from those of their children.
func levelOf(page string) string {
	if strings.Contains(page, " /parents") {
		return "parents"
	}
	return "pages"
}
