/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_PRICES_H
#define SIGNETFS_BASE_PRICES_H

/* AWS's published prices of its KMS in dollars: a key a month, and PRICED_REQUESTS requests by what they ask. */

#define PRICE_KEY        1.0
#define PRICE_SYMMETRIC  0.03
#define PRICE_ASYMMETRIC 0.15
#define PRICE_ECC_PAIR   0.10
#define PRICE_RSA_PAIR   12.0
enum { PRICED_REQUESTS = 10000 };

#endif
