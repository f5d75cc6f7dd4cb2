package api

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the HTTP figures shown at /metrics.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_http_requests_total", Help: "Answered requests by service, route, method and status.",
		}, []string{"service", "route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_http_request_seconds", Help: "Time to the last byte of the answer.", Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60},
		}, []string{"service", "route"}),
	}
	r.MustRegister(m.requests, m.seconds)
	return m
}

func (m *metrics) observe(service, route, method string, status int, took time.Duration) {
	switch method { // a client's own words make no new series
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE":
	default:
		method = "other"
	}
	m.requests.WithLabelValues(service, route, method, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(service, route).Observe(took.Seconds())
}
