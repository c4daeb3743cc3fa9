package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"tlsup/internal/quote"
)

// Bounds of what is fetched from where a certificate says.
const (
	maxFetch     = 64 << 10 // bytes of an answer, and of its head
	fetchTimeout = 10 * time.Second
)

// isBare reports whether a URL leads to a web server without TLS: one with it could want to be asked
// about in turn.
func isBare(u *url.URL) bool { return u.Host != "" && strings.HasPrefix(u.String(), "http://") }

// firstBare is the first of some URLs that can be asked; "" for none.
func firstBare(places []string) string {
	for _, place := range places {
		if u, err := url.Parse(place); err == nil && isBare(u) {
			return place
		}
	}
	return ""
}

// fetch gets what stands at a URL, or with a question posts it there as what kind says. dialing, if not
// nil, is called with each address before it is tried. What comes is not to be believed for the way it
// came. Errors can be shown as they are.
func fetch(ctx context.Context, place, kind string, question []byte, dialing func(address string)) ([]byte, error) {
	dialer := &net.Dialer{ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		if dialing != nil {
			dialing(address)
		}
		return nil
	}}
	client := &http.Client{
		Timeout:   fetchTimeout,
		Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, MaxResponseHeaderBytes: maxFetch}, // and no proxy
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if !isBare(to.URL) || len(via) > 3 {
				return errors.New("it leads elsewhere")
			}
			return nil
		},
	}
	method, header := http.MethodGet, http.Header{}
	if question != nil {
		method = http.MethodPost
		header.Set("Content-Type", kind)
	}
	request, err := http.NewRequestWithContext(ctx, method, place, bytes.NewReader(question))
	if err != nil {
		return nil, errors.New(quote.Escape(err.Error()))
	}
	request.Header = header
	reply, err := client.Do(request)
	if err != nil {
		return nil, fetchError(err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers with HTTP status %d", reply.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(reply.Body, maxFetch+1))
	switch {
	case err != nil:
		return nil, fetchError(err)
	case len(raw) > maxFetch:
		return nil, fmt.Errorf("its answer is longer than %d bytes", maxFetch)
	}
	return raw, nil
}

// fetchError says why nothing came. The caller's message has the place.
func fetchError(err error) error {
	var late net.Error
	var failed *url.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		return errors.New("it did not answer in time")
	case errors.As(err, &failed):
		err = failed.Err
	}
	return errors.New(quote.Escape(err.Error()))
}
