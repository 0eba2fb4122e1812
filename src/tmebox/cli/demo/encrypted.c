/* What the demo's sandboxes do with memory of a shared heap that is encrypted. */
#include <ctype.h>

void swap_case(unsigned char *text, unsigned long size)
{
    for (unsigned long i = 0; i < size; i++)
        text[i] = (unsigned char)(islower(text[i]) ? toupper(text[i]) : tolower(text[i]));
}

unsigned char look(const volatile unsigned char *text) { return *text; }

unsigned long look_until_it_changes(const volatile unsigned char *text)
{
    unsigned long looks = 0;
    for (unsigned char first = *text; *text == first;)
        looks++;
    return looks;
}
