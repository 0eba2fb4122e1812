/* A function over columns: what an order costs, after a discount that grows with its quantity. */
#include <stdint.h>

void cost(const double *price, const int32_t *quantity, const uint8_t *there, double *result, long rows) {
    for (long i = 0; i < rows; i++) {
        double discount = quantity[i] > 100 ? 0.2 : quantity[i] * 0.002;
        double value = price[i] * quantity[i] * (1 - discount);
        result[i] = there == 0 || there[i >> 3] >> (i & 7) & 1 ? value : 0;
    }
}
