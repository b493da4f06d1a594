// Command provider gives a testbed's cluster what a cloud gives one: volumes, and addresses for Services of the type LoadBalancer.
package main

import (
	"context"
	"flag"
	"net/netip"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// The StorageClass says whose its volumes are by this name.
const name = "testbed/local"

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	folder := flag.String("volumes", "", "the folder below which volumes are")
	node := flag.String("node", "", "the node that has them")
	addresses := flag.String("addresses", "", "the addresses that Services get, for example 198.18.0.64/26")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	pool, err := netip.ParsePrefix(*addresses)
	if err != nil {
		klog.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		klog.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		klog.Fatal(err)
	}
	go giveAddresses(ctx, client, pool)
	// The library waits fifteen seconds after a first failure.
	retries := workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, time.Minute)
	controller.NewProvisionController(ctx, client, name, &folders{*folder, *node},
		controller.LeaderElection(false), controller.AddFinalizer(true), controller.RateLimiter(retries)).Run(ctx)
}
