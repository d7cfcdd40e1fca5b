// What every part of the page may look at: the space, the question as it stands, and ways to change it.

import { createContext } from 'preact';
import { useContext } from 'preact/hooks';

export const Page = createContext(null);
export const usePage = () => useContext(Page);
