package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestPrometheusServer reads the samples of a Prometheus: range queries over two hours each, every series' samples as records, in two
// runs over windows that follow each other.
func TestPrometheusServer(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("skipped: no %s; apt-get install prometheus", program)
		}
	}
	const series, samples = 4, 600
	start := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	want := map[string]object{}
	var text bytes.Buffer
	text.WriteString("# TYPE water_level gauge\n")
	for k := range series {
		code, city := fmt.Sprintf("%04d", k*7), []string{"Århus", "København", "東京", "a\\\\b \\\"c\\\""}[k]
		for i := range samples {
			at, value := start.Add(time.Duration(i)*time.Minute).Unix(), float64(i*series+k)/8
			_, _ = fmt.Fprintf(&text, "water_level{code=\"%s\",city=\"%s\"} %v %d\n", code, city, value, at)
			id := fmt.Sprintf("%s@%d", code, at)
			want[id] = object{"_id": id, "code": code, "city": []string{"Århus", "København", "東京", `a\b "c"`}[k], "at": float64(at), "value": value}
		}
	}
	text.WriteString("# EOF\n")
	metrics, config, data := filepath.Join(dir, "metrics.txt"), filepath.Join(dir, "prometheus.yml"), filepath.Join(dir, "data")
	for file, content := range map[string][]byte{metrics: text.Bytes(), config: []byte("scrape_configs: []\n")} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "tsdb", "create-blocks-from", "openmetrics", metrics, data).CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v\n%s", err, out)
	}
	up := startOutside(t, `msg="Listening on" address=`, "prometheus", "--config.file="+config, "--storage.tsdb.path="+data, "--storage.tsdb.retention.time=100y",
		"--web.listen-address=127.0.0.1:0")

	s := newServer(t)
	s.start("")
	c := &chain{
		spec: "prometheus.json", vars: map[string]string{"HOST": "http://" + up.URL[0]}, params: object{"query": `water_level{city!=""}`}, later: 24 * time.Hour,
		fields: object{
			"code": object{"type": "string"}, "city": object{"type": "string"}, "value": object{"type": "number"},
			"at": object{"type": "integer", "minimum": 0, "maximum": 9007199254740991},
		},
		rules: map[string]string{
			"_id": `concat(series.metric.code, "@", series.values[0])`, "code": "series.metric.code", "city": "series.metric.city",
			"at": "series.values[0]", "value": "to_float(series.values[1])",
		},
	}
	s.connect(c)
	s.explore(c)
	s.build(c)
	for k := range 2 { // the second window begins where the first one ends
		from, to := start.Add(time.Duration(k)*samples/2*time.Minute), start.Add(time.Duration(k+1)*samples/2*time.Minute)
		s.succeeded(s.again(c, object{"windowStartTime": from.Unix(), "windowEndTime": to.Unix()}, 60*time.Second), series*samples/2)
	}
	same(t, want, s.table(c))
}
