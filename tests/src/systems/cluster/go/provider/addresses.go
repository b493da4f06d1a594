package main

import (
	"context"
	"net/netip"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// giveAddresses gives each Service of the type LoadBalancer an address that no other has, and takes it back when the Service is of another
// type. kube-proxy does the rest: it leads what comes to the address to the Service's pods.
func giveAddresses(ctx context.Context, client kubernetes.Interface, pool netip.Prefix) {
	factory := informers.NewSharedInformerFactory(client, 10*time.Second)
	services := factory.Core().V1().Services()
	news := make(chan struct{}, 1)
	tell := func() {
		select {
		case news <- struct{}{}:
		default:
		}
	}
	// Each is told again every ten seconds, also what could not be written before.
	services.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { tell() },
		UpdateFunc: func(any, any) { tell() },
		DeleteFunc: func(any) { tell() },
	})
	lister := services.Lister()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	given := book{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-news:
		}
		all, err := lister.List(labels.Everything())
		if err != nil {
			klog.Error(err)
			continue
		}
		for _, service := range given.assign(all, pool) {
			if _, err := client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, service, metav1.UpdateOptions{}); err != nil {
				klog.Errorf("the address of the Service %s: %v", key(service), err)
			}
		}
	}
}

// book has the address of each Service, by namespace and name. What was written may not have come back yet when the next is given.
type book map[string]string

// assign notes who has which address and gives the rest theirs. What it returns has to be written.
func (given book) assign(all []*v1.Service, pool netip.Prefix) []*v1.Service {
	wanted := map[string]bool{}
	var open []*v1.Service
	for _, service := range all {
		// One with a class is for another program.
		if service.Spec.LoadBalancerClass != nil {
			continue
		}
		ingress := service.Status.LoadBalancer.Ingress
		wants := service.Spec.Type == v1.ServiceTypeLoadBalancer
		if wants {
			wanted[key(service)] = true
		}
		if wants && len(ingress) > 0 {
			given[key(service)] = ingress[0].IP
		}
		if wants != (len(ingress) > 0) {
			open = append(open, service.DeepCopy())
		}
	}
	taken := map[string]bool{}
	for owner, address := range given {
		if wanted[owner] {
			taken[address] = true
		} else {
			delete(given, owner)
		}
	}
	for _, service := range open {
		service.Status.LoadBalancer.Ingress = nil
		if !wanted[key(service)] {
			continue
		}
		if given[key(service)] == "" {
			given[key(service)] = free(pool, taken)
		}
		if address := given[key(service)]; address != "" {
			service.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{IP: address}}
		} else {
			klog.Errorf("the Service %s gets no address: all of %s are given", key(service), pool)
		}
	}
	return open
}

func key(service *v1.Service) string {
	return service.Namespace + "/" + service.Name
}

// free is the first address of the pool that is not taken, which it is then; none when all are.
func free(pool netip.Prefix, taken map[string]bool) string {
	for address := pool.Addr(); pool.Contains(address); address = address.Next() {
		if text := address.String(); !taken[text] {
			taken[text] = true
			return text
		}
	}
	return ""
}
