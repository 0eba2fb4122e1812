/* Stages of an image pipeline. Each is in a sandbox of its own; the image goes from one to the next. */

void invert(unsigned char *image, long size)
{
    for (long i = 0; i < size; i++)
        image[i] = 255 - image[i];
}

void darken(unsigned char *image, long size)
{
    for (long i = 0; i < size; i++)
        image[i] /= 2;
}
