/* Where the host comes in with something to do: run, evaluate, get, set, call. */
#include <string.h>
#include "py/builtin.h"
#include "py/compile.h"
#include "py/gc.h"
#include "py/objexcept.h"
#include "py/cstack.h"
#include "port.h"
#include "entry.h"

/* Calls that came in while a host function of the program's runs carry this. */
#define NESTED 256

/* The value of the latest expression that stood alone at the top level of what was run. */
MP_REGISTER_ROOT_POINTER(mp_obj_t tmebox_value);
/* What the host reads. */
MP_REGISTER_ROOT_POINTER(void *tmebox_result);

/* What MicroPython calls with such values where it compiles for a prompt. */
static mp_obj_t keep_value(mp_obj_t value) {
    MP_STATE_VM(tmebox_value) = value;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(keep_value_obj, keep_value);

/* The parser's numbers for statements that are no expressions. */
enum rule {
#define DEF_RULE(rule, compile, kind, ...) RULE_##rule,
#define DEF_RULE_NC(rule, kind, ...)
#include "py/grammar.h"
#undef DEF_RULE
#undef DEF_RULE_NC
    RULE_const_object,
#define DEF_RULE(rule, compile, kind, ...)
#define DEF_RULE_NC(rule, kind, ...) RULE_##rule,
#include "py/grammar.h"
#undef DEF_RULE
#undef DEF_RULE_NC
};

static bool is_expression(mp_parse_node_t node) {
    if (MP_PARSE_NODE_IS_NULL(node)) {
        return false;
    }
    if (MP_PARSE_NODE_IS_TOKEN(node)) {
        int token = MP_PARSE_NODE_LEAF_ARG(node);
        return token != MP_TOKEN_KW_PASS && token != MP_TOKEN_NEWLINE;
    }
    if (!MP_PARSE_NODE_IS_STRUCT(node)) {
        return true; /* a name or a constant */
    }
    mp_parse_node_struct_t *inner = (mp_parse_node_struct_t *)node;
    size_t count = MP_PARSE_NODE_STRUCT_NUM_NODES(inner);
    switch (MP_PARSE_NODE_STRUCT_KIND(inner)) {
        case RULE_file_input:
        case RULE_file_input_2:
        case RULE_simple_stmt_2:
            return count > 0 && is_expression(inner->nodes[count - 1]);
        case RULE_expr_stmt: /* with what is assigned to, if anything */
            return MP_PARSE_NODE_IS_NULL(inner->nodes[1]);
        case RULE_del_stmt:
        case RULE_pass_stmt:
        case RULE_break_stmt:
        case RULE_continue_stmt:
        case RULE_return_stmt:
        case RULE_raise_stmt:
        case RULE_import_name:
        case RULE_import_from:
        case RULE_global_stmt:
        case RULE_nonlocal_stmt:
        case RULE_assert_stmt:
        case RULE_if_stmt:
        case RULE_while_stmt:
        case RULE_for_stmt:
        case RULE_try_stmt:
        case RULE_with_stmt:
        case RULE_funcdef:
        case RULE_classdef:
        case RULE_decorated:
        case RULE_async_stmt:
            return false;
        default:
            return true;
    }
}

static bool is_pass(mp_parse_node_t node) {
    if (!MP_PARSE_NODE_IS_STRUCT(node)) {
        return false;
    }
    mp_parse_node_struct_t *inner = (mp_parse_node_struct_t *)node;
    size_t kind = MP_PARSE_NODE_STRUCT_KIND(inner), count = MP_PARSE_NODE_STRUCT_NUM_NODES(inner);
    if (kind == RULE_file_input || kind == RULE_file_input_2 || kind == RULE_simple_stmt_2) {
        return count > 0 && is_pass(inner->nodes[count - 1]);
    }
    return kind == RULE_pass_stmt;
}

/* MicroPython's parser makes `pass` of a constant that stands alone. The value of the last line, if that is one. */
static mp_obj_t last_constant(const char *source, size_t size, qstr name) {
    while (size > 0 && unichar_isspace(source[size - 1])) {
        size -= 1;
    }
    size_t start = size;
    while (start > 0 && source[start - 1] != '\n' && source[start - 1] != ';') {
        start -= 1;
    }
    while (start < size && source[start] == ' ' && start > 0 && source[start - 1] == ';') {
        start += 1;
    }
    mp_obj_t value = mp_const_none;
    nlr_buf_t handler;
    if (size == start || unichar_isspace(source[start])) {
        return value;
    }
    if (nlr_push(&handler) == 0) {
        mp_lexer_t *lexer = mp_lexer_new_from_str_len(name, source + start, size - start, 0);
        mp_parse_tree_t tree = mp_parse(lexer, MP_PARSE_EVAL_INPUT);
        value = mp_call_function_0(mp_compile(&tree, name, false));
        nlr_pop();
    } else if (handler.ret_val == NULL) {
        nlr_jump_abort();
    } else if (mp_obj_exception_match(MP_OBJ_FROM_PTR(handler.ret_val), MP_OBJ_FROM_PTR(&mp_type_SyntaxError))) {
        value = mp_const_none; /* it was a real `pass`, or ends on an earlier line */
    } else {
        nlr_raise(handler.ret_val);
    }
    return value;
}

static mp_obj_t execute(const mp_obj_t *parts, mp_parse_input_kind_t kind) {
    size_t size;
    const char *source = mp_obj_str_get_data(parts[0], &size);
    qstr name = mp_obj_str_get_qstr(parts[1]);
    mp_lexer_t *lexer = mp_lexer_new_from_str_len(name, source, size, 0);
    mp_parse_tree_t tree = mp_parse(lexer, kind);
    bool whole = kind == MP_PARSE_EVAL_INPUT;
    bool valued = !whole && is_expression(tree.root), constant = !whole && is_pass(tree.root);
    mp_obj_t function = mp_compile(&tree, name, !whole);
    if (whole) {
        return mp_call_function_0(function);
    }
    mp_obj_t before = MP_STATE_VM(tmebox_value);
    MP_STATE_VM(tmebox_value) = mp_const_none;
    mp_call_function_0(function);
    mp_obj_t value = valued ? MP_STATE_VM(tmebox_value) : mp_const_none;
    if (constant) {
        value = last_constant(source, size, name);
    }
    MP_STATE_VM(tmebox_value) = before;
    return value;
}

static mp_obj_t global(mp_obj_t name) {
    mp_map_elem_t *found = mp_map_lookup(&MP_STATE_VM(dict_main).map, name, MP_MAP_LOOKUP);
    if (found == NULL) {
        mp_raise_msg_varg(&mp_type_NameError, MP_ERROR_TEXT("name '%q' isn't defined"), mp_obj_str_get_qstr(name));
    }
    return found->value;
}

static mp_obj_t call_global(const mp_obj_t *parts) {
    size_t count, used = 0;
    mp_obj_t *given;
    mp_obj_get_array(parts[1], &count, &given);
    mp_map_t *named = mp_obj_dict_get_map(parts[2]);
    mp_obj_t *arguments = m_new(mp_obj_t, count + 2 * named->used);
    memcpy(arguments, given, count * sizeof *given);
    for (size_t i = 0; i < named->alloc; i++) {
        if (mp_map_slot_is_filled(named, i)) {
            arguments[count + used++] = MP_OBJ_NEW_QSTR(mp_obj_str_get_qstr(named->table[i].key));
            arguments[count + used++] = named->table[i].value;
        }
    }
    return mp_call_function_n_kw(global(parts[0]), count, used / 2, arguments);
}

static mp_obj_t names(void) {
    mp_obj_t list = mp_obj_new_list(0, NULL);
    const mp_map_t *map = &MP_STATE_VM(dict_main).map;
    for (size_t i = 0; i < map->alloc; i++) {
        if (mp_map_slot_is_filled(map, i)) {
            mp_obj_list_append(list, map->table[i].key);
        }
    }
    return list;
}

static mp_obj_t perform(unsigned operation, size_t count, const mp_obj_t *parts) {
    mp_obj_t value;
    switch (operation) {
        case WIRE_RUN:
            return execute(parts, MP_PARSE_FILE_INPUT);
        case WIRE_EVALUATE:
            return execute(parts, MP_PARSE_EVAL_INPUT);
        case WIRE_INTERACT:
            value = execute(parts, MP_PARSE_FILE_INPUT);
            if (value != mp_const_none) {
                mp_obj_print_helper(MP_PYTHON_PRINTER, value, PRINT_REPR);
                mp_print_str(MP_PYTHON_PRINTER, "\n");
                mp_store_global(MP_QSTR__, value);
            }
            return mp_const_none;
        case WIRE_GET:
            return global(parts[0]);
        case WIRE_SET:
            mp_store_global(mp_obj_str_get_qstr(parts[0]), parts[1]);
            return mp_const_none;
        case WIRE_DELETE:
            global(parts[0]);
            mp_delete_global(mp_obj_str_get_qstr(parts[0]));
            return mp_const_none;
        case WIRE_CALL:
            return call_global(parts);
        case WIRE_NAMES:
            return names();
        case WIRE_OFFER:
            for (size_t i = 0; i < count; i++) {
                qstr name = mp_obj_str_get_qstr(parts[i]);
                mp_store_global(name, tmebox_host_function(name));
            }
            return mp_const_none;
        default:
            mp_raise_ValueError(MP_ERROR_TEXT("the host asks for something unknown"));
    }
}

static void leave(vstr_t *value) {
    MP_STATE_VM(tmebox_result) = value->buf; /* the collector must not take what the host reads */
    tmebox_post(value);
}

static void put_shown(vstr_t *out, mp_obj_t value, mp_print_kind_t kind) {
    vstr_t text;
    mp_print_t print;
    vstr_init_print(&text, 64, &print);
    mp_obj_print_helper(&print, value, kind);
    tmebox_put_text(out, text.buf, text.len);
}

static void put_traceback(vstr_t *out, mp_obj_t exception) {
    size_t count, most = 100, *places;
    mp_obj_exception_get_traceback(exception, &count, &places);
    count /= 3;
    size_t shown = count < most ? count : most;
    tmebox_begin(out, WIRE_LIST, shown);
    for (size_t i = shown; i-- > 0;) { /* the outermost first */
        for (int j = 0; j < 3; j++) {
            if (j == 0) {
                tmebox_begin(out, WIRE_TUPLE, 3);
            }
            if (j == 1) {
                tmebox_encode(out, mp_obj_new_int(places[3 * i + 1]));
            } else {
                size_t size;
                const byte *text = qstr_data(places[3 * i + j], &size);
                tmebox_put_text(out, (const char *)text, size);
            }
        }
    }
}

/* (type, message, traceback, number of the host's exception); what fails while it is described, instead. */
static void describe(mp_obj_t exception) {
    vstr_t out;
    for (int attempt = 0; attempt < 3; attempt++) {
        nlr_buf_t handler;
        if (nlr_push(&handler) == 0) {
            vstr_init(&out, 128);
            tmebox_begin(&out, WIRE_TUPLE, 4);
            const char *type = mp_obj_get_type_str(exception);
            tmebox_put_text(&out, type, strlen(type));
            put_shown(&out, exception, PRINT_STR);
            put_traceback(&out, exception);
            tmebox_encode(&out, mp_obj_new_int(tmebox_host_error(exception)));
            nlr_pop();
            leave(&out);
            return;
        }
        if (handler.ret_val == NULL) {
            nlr_jump_abort();
        }
        exception = MP_OBJ_FROM_PTR(handler.ret_val);
        gc_collect();
    }
    tmebox_mailbox->result_size = 0; /* there is no memory even for that */
}

/* The value of a run, or what it is if it cannot be handed out. */
static int hand_out(mp_obj_t value, bool opaque) {
    vstr_t out;
    nlr_buf_t handler;
    if (nlr_push(&handler) == 0) {
        vstr_init(&out, 32);
        tmebox_encode(&out, value);
        nlr_pop();
        leave(&out);
        return WIRE_DONE;
    }
    if (handler.ret_val == NULL) {
        nlr_jump_abort();
    }
    if (!opaque || !mp_obj_exception_match(MP_OBJ_FROM_PTR(handler.ret_val), MP_OBJ_FROM_PTR(&mp_type_TypeError))) {
        nlr_raise(handler.ret_val);
    }
    vstr_init(&out, 64);
    tmebox_begin(&out, WIRE_TUPLE, 2);
    const char *type = mp_obj_get_type_str(value);
    tmebox_put_text(&out, type, strlen(type));
    put_shown(&out, value, PRINT_REPR);
    leave(&out);
    return WIRE_OPAQUE;
}

/* Whatever the call before left behind, also if the host unwound it. */
static void begin(void *stack_top) {
    tmebox_stack_from(stack_top);
    MP_STATE_THREAD(nlr_top) = NULL;
    MP_STATE_THREAD(nlr_jump_callback_top) = NULL;
    MP_STATE_THREAD(gc_lock_depth) = 0;
    MP_STATE_THREAD(mp_pending_exception) = MP_OBJ_NULL;
    MP_STATE_VM(sched_state) = MP_SCHED_IDLE;
    MP_STATE_VM(vm_abort) = false;
    MP_STATE_VM(cur_exception) = NULL;
}

static int guarded(unsigned operation, const unsigned char *data, size_t size) {
    nlr_buf_t handler;
    nlr_buf_t *outer_abort = nlr_get_abort();
    int status;
    nlr_set_abort(&handler);
    if (nlr_push(&handler) == 0) {
        size_t count;
        mp_obj_t *parts;
        mp_obj_t request = tmebox_decode(data, size);
        mp_obj_get_array(request, &count, &parts);
        mp_obj_t value = perform(operation, count, parts);
        status = hand_out(value, operation == WIRE_RUN);
        nlr_pop();
    } else if (handler.ret_val == NULL) {
        status = WIRE_SPENT;
    } else {
        nlr_buf_t again; /* describing may run out, too */
        mp_obj_t exception = MP_OBJ_FROM_PTR(handler.ret_val);
        nlr_set_abort(&again);
        if (nlr_push(&again) == 0) {
            describe(exception);
            nlr_pop();
            status = WIRE_RAISED;
        } else {
            status = WIRE_SPENT;
        }
    }
    nlr_set_abort(outer_abort);
    return status;
}

TMEBOX_EXPORT int python_do(unsigned mailbox, unsigned operation, unsigned offset, unsigned size) {
    tmebox_mailbox = (struct mailbox *)(uintptr_t)mailbox;
    tmebox_interrupted = &tmebox_mailbox->interrupt;
    bool nested = operation & NESTED;
    mp_obj_dict_t *globals = mp_globals_get(), *locals = mp_locals_get();
    if (!nested) {
        begin(__builtin_frame_address(0));
        mp_obj_t builtins = MP_OBJ_FROM_PTR(&mp_module_builtins);
        if (MP_STATE_VM(mp_module_builtins_override_dict) == NULL) {
            mp_store_attr(builtins, MP_QSTR___repl_print__, MP_OBJ_FROM_PTR(&keep_value_obj));
        }
        tmebox_instructions_left = tmebox_mailbox->instructions_left;
        if (tmebox_mailbox->unseeded) { /* by import alone, all that go on from one state would draw the same */
            tmebox_seed_anew();
            tmebox_mailbox->unseeded = 0;
        }
    }
    mp_globals_set(&MP_STATE_VM(dict_main));
    mp_locals_set(&MP_STATE_VM(dict_main));
    int status = guarded(operation & ~NESTED, (const unsigned char *)(uintptr_t)offset, size);
    mp_globals_set(nested ? globals : &MP_STATE_VM(dict_main));
    mp_locals_set(nested ? locals : &MP_STATE_VM(dict_main));
    tmebox_mailbox->instructions_left = tmebox_instructions_left;
    return status;
}
