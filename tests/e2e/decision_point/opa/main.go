// The server of Open Policy Agent, as its own packages make it, at the address
// on the command line. Policies arrive by its own API, PUT /v1/policies/….
package main

import (
	"context"
	"log"
	"os"

	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/server"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

func main() {
	ctx := context.Background()
	store := inmem.New()
	manager, err := plugins.New([]byte("{}"), "decision-point-test", store)
	if err != nil {
		log.Fatal(err)
	}
	if err := manager.Start(ctx); err != nil {
		log.Fatal(err)
	}
	opa, err := server.New().
		WithAddresses([]string{os.Args[1]}).
		WithManager(manager).
		WithStore(store).
		Init(ctx)
	if err != nil {
		log.Fatal(err)
	}
	listeners, err := opa.Listeners()
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(listeners[0]())
}
