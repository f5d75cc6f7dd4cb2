package main

import (
	"fmt"
)

// filmsCmd serves the source of the demo and of the README: a small REST API with 13,389 films.
type filmsCmd struct {
	Listen string `help:"Address to listen on." default:"127.0.0.1:8090"`
}

// Run serves until the process is told to stop.
func (c *filmsCmd) Run(a *app) error {
	s, err := newFilmSource(a.ctx, c.Listen)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := fmt.Fprintf(a.stdout, "%s/v1/films (bearer token %s)\n", s.URL, demoToken); err != nil {
		return err
	}
	<-a.ctx.Done()
	return nil
}
