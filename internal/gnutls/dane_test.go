package gnutls

import "testing"

func TestDANEWords(t *testing.T) {
	own, authority := DANERecord{Usable: true}, DANERecord{Usable: true, Authority: true}
	for _, test := range []struct {
		records []DANERecord
		want    string
		trusted bool
	}{
		{[]DANERecord{own, {Usable: true, Matches: true}}, "Certificate matches. ", true},
		{[]DANERecord{own, {}}, "Verification failed. The certificate differs. ", false},
		{[]DANERecord{authority}, "Verification failed. CA constrains were violated. ", false},
		{[]DANERecord{own, authority}, "Verification failed. CA constrains were violated. The certificate differs. ", false},
		{[]DANERecord{{}, {Authority: true}}, "Verification failed. There were no DANE information. ", false},
		{nil, "Verification failed. There were no DANE information. ", false},
	} {
		if got, trusted := DANEWords(test.records); got != test.want || trusted != test.trusted {
			t.Errorf("%v: %q, %v", test.records, got, trusted)
		}
	}
}
