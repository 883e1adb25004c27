// Name resolution for client programs under test, loaded before the C library: every name that ends in ".test" is this
// machine (RFC 6761 reserves the ending). So clients can be sent to host names without a DNS server or a hosts file.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <strings.h>

typedef int resolve(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    static const char ending[] = ".test";
    size_t length = host ? strlen(host) : 0, ending_length = sizeof ending - 1;
    if (length > ending_length && strcasecmp(host + length - ending_length, ending) == 0) host = "127.0.0.1";
    return ((resolve *)dlsym(RTLD_NEXT, "getaddrinfo"))(host, service, hints, found);
}
