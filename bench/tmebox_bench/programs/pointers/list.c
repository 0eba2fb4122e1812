/* Linked list: build in random order, merge sort by relinking, search, reverse, free. */
#include "../bench.h"

struct node {
	struct node *next;
	uint32_t key;
};

static struct node *push(struct node *head, uint32_t key)
{
	struct node *node = need(malloc(sizeof *node));
	*node = (struct node){ head, key };
	return node;
}

static struct node *merge(struct node *one, struct node *other)
{
	struct node *head = NULL, **tail = &head;
	while (one && other) {
		struct node **smaller = one->key <= other->key ? &one : &other;
		*tail = *smaller;
		tail = &(*smaller)->next;
		*smaller = *tail;
	}
	*tail = one ? one : other;
	return head;
}

static struct node *sort(struct node *head)
{
	if (!head || !head->next) return head;
	struct node *slow = head, *fast = head->next;
	while (fast && fast->next) {
		slow = slow->next;
		fast = fast->next->next;
	}
	struct node *second = slow->next;
	slow->next = NULL;
	return merge(sort(head), sort(second));
}

static struct node *reverse(struct node *head)
{
	struct node *done = NULL;
	while (head) {
		struct node *next = head->next;
		head->next = done;
		done = head;
		head = next;
	}
	return done;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 4711;
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		struct node *head = NULL;
		for (int i = 0; i < 30000; i++) head = push(head, next_random(&random));
		head = sort(head);
		for (int i = 0; i < 20; i++) {
			uint32_t wanted = next_random(&random);
			struct node *at = head;
			while (at && at->key < wanted) at = at->next;
			sum = mix(sum, at ? at->key : 0);
		}
		head = reverse(head);
		while (head) {
			struct node *next = head->next;
			expect(!next || next->key <= head->key, "order");
			free(head);
			head = next;
		}
	}
	return finish(sum);
}
